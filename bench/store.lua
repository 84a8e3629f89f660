-- For the bench "store": the requests of a file, one after the other, for good.
--
-- Arguments: METHOD, FILE with a path and query a line, and for PUT the count of bytes of the body.
-- Threads take the lines in turns, so that two never ask for the same key at the same time.

local threads = 0

function setup(thread)
	thread:set("number", threads)
	threads = threads + 1
	thread:set("step", tonumber(os.getenv("BENCH_THREADS")))
end

function init(args)
	local body = nil
	local headers = {}
	if args[3] then
		body = string.rep("edgeos bench\n", math.ceil(args[3] / 13)):sub(1, args[3])
		headers["Content-Length"] = tostring(#body)
	end
	requests = {}
	local line_number = 0
	for line in io.lines(args[2]) do
		if line_number % step == number then
			requests[#requests + 1] = wrk.format(args[1], line, headers, body)
		end
		line_number = line_number + 1
	end
	at = 0
end

function request()
	at = at % #requests + 1
	return requests[at]
end
