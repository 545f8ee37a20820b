-- Every request is a new hold of one seat. Partitions hold a thousand seats each; ids never come twice in a run.
local round = os.getenv("ROUND") or "0"
local n = 0

function request()
  n = n + 1
  local body = string.format(
    '{"partition_key":"P-%s-%d","hold_id":"hold-%s-%08d","qty":1,"capacity":1000}',
    round, math.floor(n / 1000), round, n)
  return wrk.format("POST", "/inventory/try-hold", { ["Content-Type"] = "application/json" }, body)
end

function done(summary, latency)
  local function ms(p) return latency:percentile(p) / 1000 end
  io.write(string.format("RESULT requests=%d seconds=%.3f errors=%d p50_ms=%.3f p99_ms=%.3f\n", summary.requests, summary.duration / 1e6,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    ms(50), ms(99)))
end
