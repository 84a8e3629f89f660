FromDevice(0) -> e :: FrontDropQueue(2) -> PullSwitch(-1) -> Discard; e[1] -> ToDevice(0);
