FromDevice(0) -> SetTimestamp(1000000000) -> Queue -> DelayUnqueue(1) -> ToDevice(0);
FromDevice(1) -> SetTimestamp(5) -> SetTimestamp -> Queue -> DelayUnqueue(1) -> ToDevice(0);
