-- For the bench "store": PUTs of FIRST and what follows, each key once, until wrk is stopped.
--
-- Arguments: PATH that the number is put behind, FIRST, count of bytes of the body.

local threads = 0

function setup(thread)
	thread:set("number", threads)
	threads = threads + 1
	thread:set("step", tonumber(os.getenv("BENCH_THREADS")))
end

function init(args)
	path, at = args[1], tonumber(args[2]) + number
	-- wrk asks its first thread for a request before it begins, and sends it to nobody.
	if number == 0 then
		at = at - step
	end
	body = string.rep("x", tonumber(args[3]))
	headers = {["Content-Length"] = tostring(#body)}
end

function request()
	local text = wrk.format("PUT", string.format("%s%09d", path, at), headers, body)
	at = at + step
	return text
end
