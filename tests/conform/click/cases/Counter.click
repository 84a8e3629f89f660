FromDevice(0) -> c :: Counter -> s :: StaticSwitch(1); s[0] -> ToDevice(0);
s[1] -> Queue -> Counter -> ToDevice(0);
