FromDevice(0) -> e :: RED(1, 3, 1, STABILITY 1) -> q :: Queue(200)
-> PullSwitch(-1) -> Unqueue -> Discard; FromDevice(1) -> q;
e[1] -> ToDevice(0);
