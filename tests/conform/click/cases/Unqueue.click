FromDevice(0) -> Queue -> Unqueue(LIMIT 2) -> ToDevice(0);
