"""The samples' own work, as native programs with ASan and UBSan: CSV, pictures, events."""
import json
import os
import struct
import subprocess
import zlib

import pytest
from edgeos_node import ROOT
from edgeos_wasm import compile_native

SAMPLES = ROOT / "sdk" / "samples"
EVENT_C = ROOT / "sdk" / "c" / "event.c"


def str_of_length(data):
    """A test's name from bytes: the bytes themselves would be long."""
    return f"{data[:8]!r}-{len(data)}"


def run_native(name, *args, stdin=b"", **environment):
    program = compile_native(*sorted((SAMPLES / name).glob("*.c")), EVENT_C)
    # An instance's memory ends with it, so the samples do not give it back.
    environment["ASAN_OPTIONS"] = "detect_leaks=0"
    return subprocess.run(
        [program, *map(str, args)],
        input=stdin,
        capture_output=True,
        timeout=60,
        env={**os.environ, **environment},
    )


# downsample


def downsample(tmp_path, text, period="hour"):
    """Lines, bad lines and the result's rows."""
    (tmp_path / "in.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    result = run_native("downsample", tmp_path / "in.csv", tmp_path / "out.csv", PERIOD=period)
    assert result.returncode == 0, result.stderr
    counts = json.loads(result.stdout)
    rows = (tmp_path / "out.csv").read_text().splitlines()
    assert counts["rows"] == len(rows) - 1
    return counts["lines"], counts["bad_lines"], rows


def test_downsample_hourly(tmp_path):
    text = "time,temp\n2024-05-01T10:05:00Z,1\n2024-05-01T10:55:00Z,4\n2024-05-01T11:00:00Z,-2.5\n"
    assert downsample(tmp_path, text) == (
        3, 0,
        ["time,temp_min,temp_mean,temp_max", "2024-05-01T10:00:00Z,1,2.5,4",
         "2024-05-01T11:00:00Z,-2.5,-2.5,-2.5"],
    )  # fmt: skip


@pytest.mark.parametrize(
    "time, expected",
    [
        ("2012-01-01", "2012-01-01T00:00:00Z"),
        ("2012-01-01T13:05:59.999+02:00", "2012-01-01T11:00:00Z"),
        ("2012-01-01 00:30:00 -0130", "2012-01-01T02:00:00Z"),
        ("2012-02-29T23:59Z", "2012-02-29T23:00:00Z"),
        ("2012/12/31 5:07", "2012-12-31T05:00:00Z"),
        ("Jan 1 2000", "2000-01-01T00:00:00Z"),
        ("December 31, 1999", "1999-12-31T00:00:00Z"),
        ("1700000000", "2023-11-14T22:00:00Z"),
        ("1700000000123", "2023-11-14T22:00:00Z"),
        ("1969-12-31T23:30:00Z", "1969-12-31T23:00:00Z"),
        ("0001-01-01", "0001-01-01T00:00:00Z"),
    ],
)
def test_downsample_reads_times(tmp_path, time, expected):
    _, bad, rows = downsample(tmp_path, f'timestamp;x\n"{time}";1\n')
    assert bad == 0
    assert rows[1].split(",")[0] == expected


@pytest.mark.parametrize(
    "time",
    ["2012-02-30", "2011-02-29", "2012-13-01", "2012-1", "12-01-01", "2012-01-01T25:00", "noon",
     "2012-01-01T10:60", "2012-01-01x", "Foo 1 2000", "", "2012-01-01T10:00+25:00", "20120101"],
)  # fmt: skip
def test_downsample_counts_bad_times(tmp_path, time):
    lines, bad, rows = downsample(tmp_path, f"date,x\n2012-01-01,1\n{time},2\n2012-01-01,3\n")
    assert (lines, bad) == (3, 1)
    assert rows[1] == "2012-01-01T00:00:00Z,1,2,3"


def test_downsample_makes(tmp_path):
    """Byte order mark, CRLF, tabs, no header, quotes, gaps, text columns, out of order."""
    _, bad, rows = downsample(tmp_path, b"\xef\xbb\xbfdate\tx\r\n2020-01-01\t5\r\n\r\n")
    assert (bad, rows[0]) == (0, "time,x_min,x_mean,x_max")
    _, bad, rows = downsample(tmp_path, "2020-01-01,5,a\n2020-01-01,7,b\n")
    assert (bad, rows) == (0, ["time,c2_min,c2_mean,c2_max", "2020-01-01T00:00:00Z,5,6,7"])
    text = 'place,date,"a ""b"", c",x\nHere,2020-01-02,,1\nThere,2020-01-01,2,\n"He, re",2020-01-02,4,3\n'
    _, bad, rows = downsample(tmp_path, text, "day")
    assert bad == 0
    assert rows == [
        'time,"a ""b"", c_min","a ""b"", c_mean","a ""b"", c_max",x_min,x_mean,x_max',
        "2020-01-01T00:00:00Z,2,2,2,,,",
        "2020-01-02T00:00:00Z,4,4,4,1,2,3",
    ]


def test_downsample_takes_only_numbers(tmp_path):
    values = ["2000", "nan", "inf", "0x10", "1,5", "-", "1e999", "+3000", "0", "4e3", "2000.0"]
    text = "date,x\n2020-01-01,\n" + "".join(f"2020-01-01,{value}\n" for value in values)
    lines, bad, rows = downsample(tmp_path, text + "2020-01-01,1000\n")
    assert (lines, bad) == (13, 1)  # "1,5" is a field too many
    assert rows == ["time,x_min,x_mean,x_max", "2020-01-01T00:00:00Z,0,2000,4000"]
    # Mostly text: not a column of numbers.
    assert downsample(tmp_path, "date,x\n2020-01-01,1\n2020-01-01,nan\n")[2][0] == "time"


def test_downsample_survives_rubbish(tmp_path):
    long_line = b"2020-01-01," + b"9" * 70_000 + b"\n"
    wide_line = b"," * 200 + b"\n"
    text = b"date,x\n" + os.urandom(1000).replace(b"\n", b" ").replace(b"\0", b" ") + b"\n"
    text += long_line + wide_line + b'2020-01-01,"open\n2020-01-01,2\n2020-01-01,4'
    lines, bad, rows = downsample(tmp_path, text)
    assert rows[-1].endswith(",2,3,4")
    assert bad == lines - 2


@pytest.mark.parametrize("text", ["", "\n\n", "a,b\n1,2\n", "only words\n"])
def test_downsample_refuses_what_is_no_table(tmp_path, text):
    (tmp_path / "in.csv").write_text(text)
    result = run_native("downsample", tmp_path / "in.csv", tmp_path / "out.csv")
    assert result.returncode == 1
    assert b"no line with a time" in result.stderr
    assert not (tmp_path / "out.csv").exists()


def test_downsample_of_real_measurements(tmp_path, weather):
    data = (weather / "seattle-weather-hourly-normals.csv").read_bytes()
    assert downsample(tmp_path, data)[:2] == (8759, 0)
    lines, bad, rows = downsample(tmp_path, data, "month")
    assert (lines, bad, len(rows)) == (8759, 0, 13)
    lines, bad, rows = downsample(tmp_path, (weather / "stocks.csv").read_bytes(), "month")
    assert (lines, bad, len(rows)) == (560, 0, 124)


# events


def event(key, bucket="raw"):
    record = {"bucket": {"name": bucket, "arn": "x"}, "object": {"key": key, "size": 1}}
    return json.dumps({"Records": [{"eventVersion": "2.1", "s3": record}]}).encode()


def test_event_names_the_result(tmp_path):
    """Natively there is no /event/object: the message names the decoded key or that path."""
    result = run_native("downsample", stdin=event("a+b/c%2Bd.csv"), OUTPUT=str(tmp_path))
    assert result.returncode == 1
    assert b"/event/object" in result.stderr


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b'{"Records": []}', b'{"object": {"key": 5}, "bucket": {"name": "x"}}',
     b'{"bucket": {"name": "x"}, "object": {"key": "unclosed', event("x" * 2000), b"\xff" * 70_000,
     b'{"bucket": {"name": "' + b"b" * 100 + b'"}, "object": {"key": "x"}}'],
    ids=str_of_length,
)  # fmt: skip
def test_not_an_event(data):
    result = run_native("downsample", stdin=data)
    assert result.returncode == 1
    assert b"not an event" in result.stderr


# thumbnail


def png_pixels(data):
    """Width, height, and the rows of a PNG that thumbnail wrote; checks its checksums."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + size]
        (crc,) = struct.unpack(">I", data[at + 8 + size : at + 12 + size])
        assert crc == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + size
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    raw = zlib.decompress(chunks[b"IDAT"])
    line = width * 3 + 1
    assert len(raw) == line * height
    return width, height, [raw[y * line + 1 : (y + 1) * line] for y in range(height)]


def thumbnail(tmp_path, data, size=160):
    (tmp_path / "in").write_bytes(data)
    result = run_native("thumbnail", tmp_path / "in", tmp_path / "out.png", SIZE=str(size))
    assert result.returncode == 0, result.stderr
    return png_pixels((tmp_path / "out.png").read_bytes())


WIDTH, HEIGHT = 301, 207


def pixel(x, y):
    return (x % 256, y % 256, (x + y) % 256)


def ppm_binary():
    body = b"".join(bytes(pixel(x, y)) for y in range(HEIGHT) for x in range(WIDTH))
    return b"P6\n# a comment\n%d %d\n255\n" % (WIDTH, HEIGHT) + body


def ppm_text():
    values = " ".join(str(v) for y in range(HEIGHT) for x in range(WIDTH) for v in pixel(x, y))
    return f"P3 {WIDTH} {HEIGHT} 255\n{values}".encode()


def bmp(bits, bottom_up=True):
    lines = []
    for y in range(HEIGHT):
        line = b"".join(bytes(pixel(x, y)[::-1]) + b"\0" * (bits // 8 - 3) for x in range(WIDTH))
        lines.append(line + b"\0" * (-len(line) % 4))
    body = b"".join(reversed(lines) if bottom_up else lines)
    height = HEIGHT if bottom_up else -HEIGHT
    info = struct.pack("<IiiHHIIiiII", 40, WIDTH, height, 1, bits, 0, len(body), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(body), 0, 0, 54) + info + body


def test_thumbnail_of_every_format_is_the_same(tmp_path):
    pictures = [ppm_binary(), ppm_text(), bmp(24), bmp(32), bmp(24, bottom_up=False)]
    results = [thumbnail(tmp_path, picture) for picture in pictures]
    assert results[0][:2] == (160, 110)
    assert all(result == results[0] for result in results)


def test_thumbnail_of_a_small_picture_is_the_picture(tmp_path):
    width, height, rows = thumbnail(tmp_path, b"P6 2 2 255\n" + bytes(range(12)))
    assert (width, height, rows) == (2, 2, [bytes(range(6)), bytes(range(6, 12))])


def test_thumbnail_is_a_mean(tmp_path):
    assert thumbnail(tmp_path, b"P5 2 2 255\n" + bytes([0, 100, 100, 200]), 1) == (
        1, 1, [bytes([100] * 3)],
    )  # fmt: skip
    assert thumbnail(tmp_path, b"P5 1 1 65535\n\x80\x00")[2] == [bytes([127] * 3)]
    assert thumbnail(tmp_path, b"P2 3 1 2\n0 1 2")[2] == [bytes([0] * 3 + [127] * 3 + [255] * 3)]


def test_thumbnail_of_a_line(tmp_path):
    assert thumbnail(tmp_path, b"P5 1000 1 255\n" + bytes(1000))[:2] == (160, 1)


@pytest.mark.parametrize(
    "data",
    [b"", b"GIF89a", b"P6", b"P6 0 1 255\n", b"P6 40000 1 255\n", b"P6 99999999999 1 255\n",
     b"P6 2 2 0\n", b"P6 2 2 70000\n", b"P6 2 2 255\n\0\0\0", b"P2 1 1 5\n9", b"P3 1 1 255\nred",
     b"BM", b"BM" + bytes(60), bmp(24)[:5000], bmp(24)[:30]],
    ids=str_of_length,
)  # fmt: skip
def test_thumbnail_refuses(tmp_path, data):
    (tmp_path / "in").write_bytes(data)
    result = run_native("thumbnail", tmp_path / "in", tmp_path / "out.png")
    assert result.returncode == 1
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert not (tmp_path / "out.png").exists()


# hello


@pytest.mark.parametrize(
    "query, name",
    [("", "world"), ("name=", "world"), ("a=1&name=Ada", "Ada"), ("name=A+B%21", "A B!"),
     ("name=%0a%00x", "x"), ("name=%4", "%4"), ("name=" + "y" * 500, "y" * 64), ("xname=1", "world")],
)  # fmt: skip
def test_hello(query, name):
    program = compile_native(SAMPLES / "hello" / "hello.c")
    result = subprocess.run(
        [program], capture_output=True, text=True, env={"QUERY_STRING": query}, timeout=60
    )
    assert result.returncode == 0
    assert result.stdout.endswith(f"\n\nHello, {name}!\n")
