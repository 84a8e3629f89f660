FromDevice(1) -> ToDevice(0);
FromDevice(0) -> i :: Idle; i[0] -> ToDevice(0);
Idle -> Unqueue -> ToDevice(0);
