FromDevice(0) -> Print(label, 4, TIMESTAMP true) -> ToDevice(0);
