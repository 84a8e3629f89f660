FromDevice(0) -> RED(5, 50, 0.02) -> Queue(200) -> Unqueue -> ToDevice(0);
