FromDevice(0) -> AverageCounter(1) -> ToDevice(0);
