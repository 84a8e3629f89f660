FromDevice(0) -> Queue -> ToDevice(0); FromDevice(1) -> ToDevice(0);
