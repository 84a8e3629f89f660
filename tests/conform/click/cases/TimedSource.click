FromDevice(1) -> ToDevice(0);
TimedSource(0.5, "tick", LIMIT 3) -> ToDevice(0);
FromDevice(0) -> Discard;
