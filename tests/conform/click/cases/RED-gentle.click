FromDevice(0) -> e :: RED(3, 3, 0, STABILITY 0) -> q :: Queue(4)
-> PullSwitch(-1) -> Discard; FromDevice(1) -> q; q[1] -> Discard;
e[1] -> ToDevice(0);
