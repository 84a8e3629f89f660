FromDevice(1) -> ToDevice(0);
FromDevice(0) -> SetTimestamp(1000000000) -> Queue -> DelayUnqueue(1) -> Queue
-> DelayUnqueue(1) -> ToDevice(0);
FromDevice(2) -> Queue -> DelayUnqueue(0.5) -> Queue -> d :: DelayUnqueue(1) -> ToDevice(0);
Script(write d.delay 0.25);
