FromDevice(1) -> ToDevice(0);
FromDevice(0) -> t :: Tee; t[0] -> Discard; t[1] -> Queue -> Discard;
