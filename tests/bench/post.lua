-- Posts signed payloads, each with a nonce of its own. Environment: HEAD, MIDDLE, TAIL (files), PAIRS (nonce and signature
-- a line; AT: how many to leave out), or ONE (a whole body) and SIGNATURE (of it, for a header).
local function read(name)
	local file = assert(io.open(os.getenv(name), "rb"))
	local text = file:read("*a")
	file:close()
	return text
end
local threads = 0
function setup(thread)
	thread:set("number", threads)
	threads = threads + 1
end
function init()
	head, middle, tail, pairs_ = read("HEAD"), read("MIDDLE"), read("TAIL"), {}
	for nonce, sig in read("PAIRS"):gmatch("(%S+) (%S+)\n") do
		pairs_[#pairs_ + 1] = nonce .. middle .. sig .. tail
	end
	if os.getenv("ONE") then
		head, pairs_ = read("ONE"), {""}
		wrk.headers["X-Hub-Signature-256"] = os.getenv("SIGNATURE")
	end
	at = tonumber(os.getenv("AT") or 0) + math.floor(number * #pairs_ / 2)
	wrk.method = "POST"
	wrk.headers["Content-Type"] = "application/json"
end
function request()
	at = at % #pairs_ + 1
	return wrk.format(nil, nil, nil, head .. pairs_[at])
end
function done(summary, latency)
	local e = summary.errors
	io.write(string.format("RESULT %d %d %d %d %d %d\n", summary.requests, summary.duration, e.status,
		e.connect + e.read + e.write + e.timeout, latency:percentile(50), latency:percentile(99)))
end
