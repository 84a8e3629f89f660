FromDevice(0) -> e :: HashSwitch(2, 4);
e[0] -> Paint(1) -> u :: Null; e[1] -> Paint(2) -> u;
u -> p :: PaintSwitch; p[0] -> Discard; p[1] -> a :: Counter -> ToDevice(0);
p[2] -> b :: Counter -> ToDevice(0);
