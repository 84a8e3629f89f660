// Through a queue and back.
FromDevice(0) -> c :: Counter -> Queue(10) -> Unqueue -> Queue -> ToDevice(1);
