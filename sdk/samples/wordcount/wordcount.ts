/*
 * wordcount: counts the words of the request's body, or of standard input; in AssemblyScript.
 *
 *     curl --data-binary @README.md 'http://127.0.0.1:9800/wordcount?top=5'
 *
 * The answer is JSON: how many lines, words and bytes, and the most frequent words.
 */
const TOP_DEFAULT = 10;
const TOP_MAX = 100;
const BODY_BYTES_MAX = 8 << 20;

class Count {
  constructor(public word: string, public count: i32) {}
}

/** Standard input to its end; null when it is larger than BODY_BYTES_MAX. */
function readAll(): Uint8Array | null {
  const chunk = new ArrayBuffer(65536);
  let data = new Uint8Array(0);
  let len = process.stdin.read(chunk);
  while (len > 0) {
    if (data.length + len > BODY_BYTES_MAX) return null;
    const longer = new Uint8Array(data.length + len);
    longer.set(data);
    longer.set(Uint8Array.wrap(chunk, 0, len), data.length);
    data = longer;
    len = process.stdin.read(chunk);
  }
  return data;
}

/** Letters, digits, and whatever is not ASCII belong to words. */
function isWordByte(c: u8): bool {
  return (c >= 0x61 && c <= 0x7a) || (c >= 0x30 && c <= 0x39) || c >= 0x80;
}

/** `top` of the query string, within its limits. */
function topFromQuery(): i32 {
  const query = process.env.has("QUERY_STRING") ? process.env.get("QUERY_STRING") : "";
  const parts = query.split("&");
  for (let i = 0; i < parts.length; i++) {
    if (parts[i].startsWith("top=")) {
      const value = F64.parseInt(parts[i].substring(4));
      if (value >= 1 && value <= <f64>TOP_MAX) return <i32>value;
    }
  }
  return TOP_DEFAULT;
}

/** The header lines, where an HTTP request is what runs us. */
function answer(status: string, body: string): void {
  if (process.env.has("REQUEST_METHOD")) {
    process.stdout.write("Status: " + status + "\nContent-Type: application/json\n\n");
  }
  process.stdout.write(body + "\n");
}

function main(): void {
  const data = readAll();
  if (data === null) {
    answer("413 Content Too Large", '{"error": "the text is larger than 8 MiB"}');
    return;
  }
  const counts = new Map<string, i32>();
  let lines = 0;
  let words = 0;
  let start = -1;
  for (let i = 0; i <= data.length; i++) {
    let c: u8 = i < data.length ? data[i] : 0x20;
    if (c >= 0x41 && c <= 0x5a) {
      c |= 0x20;
      data[i] = c;
    }
    if (i < data.length && c == 0x0a) lines++;
    if (isWordByte(c)) {
      if (start < 0) start = i;
    } else if (start >= 0) {
      const word = String.UTF8.decode(data.buffer.slice(start, i));
      counts.set(word, counts.has(word) ? counts.get(word) + 1 : 1);
      words++;
      start = -1;
    }
  }

  const order = new Array<Count>();
  const keys = counts.keys();
  for (let i = 0; i < keys.length; i++) order.push(new Count(keys[i], counts.get(keys[i])));
  order.sort((a, b) => (a.count != b.count ? b.count - a.count : a.word < b.word ? -1 : 1));

  // Words hold no quotes, backslashes or control characters, so they are JSON as they are.
  const top = new Array<string>();
  const most = min(topFromQuery(), order.length);
  for (let i = 0; i < most; i++) {
    top.push('{"word": "' + order[i].word + '", "count": ' + order[i].count.toString() + "}");
  }
  answer(
    "200 OK",
    '{"lines": ' + lines.toString() + ', "words": ' + words.toString() +
      ', "bytes": ' + data.length.toString() + ', "top": [' + top.join(", ") + "]}"
  );
}

main();
