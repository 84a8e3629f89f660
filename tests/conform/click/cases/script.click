// A queue that is made smaller before the first packet, and a source that is switched off.
s :: InfiniteSource(LIMIT 5) -> Discard
FromDevice(0) -> q :: Queue(1000) -> u :: Unqueue(ACTIVE false) -> ToDevice(1)
Script(write q.capacity 2, write u.active true, write s.active false)
