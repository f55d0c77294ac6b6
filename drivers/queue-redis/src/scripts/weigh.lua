-- each tenant that weighs more than 1, and how much
call('DEL', WEIGHTS)
for number = 6, #ARGV, 2 do
  call('HSET', WEIGHTS, ARGV[number], ARGV[number + 1])
end
return finish(#ARGV)
