FromDevice(1) -> ToDevice(0);
FromDevice(0) -> SetTimestamp(1000000000) -> Queue -> DelayUnqueue(1) -> Queue
-> DelayUnqueue(1) -> ToDevice(0);
