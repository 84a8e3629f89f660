AddressInfo(gw 10.0.0.1 00:11:22:33:44:55)
s :: RatedSource(DATA \<01 02>, RATE 1000, LIMIT 5) -> Print(x) -> q :: Queue -> Unqueue -> t :: Tee -> c0 :: Counter -> ToDevice(0); t[1] -> Paint(3) -> ToDevice(out);
InfiniteSource(LIMIT 3) -> q2::Queue -> c2::Counter -> Discard;
FromDevice(eth0) -> Discard
Script(write q.capacity 7, write c0.reset)
