-- key, workflow, priority, delay
return finish(ring(ARGV[6], ARGV[7], tonumber(ARGV[8]), in_time(ARGV[9])))
