-- For the bench "store": PUTs of FIRST to LAST, each key once, over all connections; then it stops.
--
-- Arguments: PATH that the number is put behind, FIRST, LAST, count of bytes of the body.

local threads = 0
-- So many more are asked for behind the last one: by the time they are answered, those before are.
local SPARE = 2000

function setup(thread)
	thread:set("number", threads)
	threads = threads + 1
	thread:set("step", tonumber(os.getenv("BENCH_THREADS")))
end

function init(args)
	path, last = args[1], tonumber(args[3]) + SPARE
	at = tonumber(args[2]) + number
	body = string.rep("x", tonumber(args[4]))
	headers = {["Content-Length"] = tostring(#body)}
end

function request()
	local text = wrk.format("PUT", string.format("%s%09d", path, at), headers, body)
	at = at + step
	return text
end

function response()
	if at > last then
		wrk.thread:stop()
	end
end
