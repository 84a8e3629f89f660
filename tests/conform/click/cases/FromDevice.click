FromDevice(in) -> ToDevice(out); FromDevice(out) -> ToDevice(in);
