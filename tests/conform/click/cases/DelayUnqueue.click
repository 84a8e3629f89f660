FromDevice(1) -> ToDevice(0);
FromDevice(0) -> Queue -> DelayUnqueue(0.5) -> ToDevice(0);
