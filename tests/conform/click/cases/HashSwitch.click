FromDevice(0) -> e :: HashSwitch(2, 4);
e[0] -> Paint(1) -> u :: Null; e[1] -> Paint(2) -> u;
u -> p :: PaintSwitch; p[0] -> Discard; p[1] -> a :: Counter -> out :: Null;
p[2] -> b :: Counter -> out; out -> EtherEncap(0x88b5, 0:0:0:0:0:1, 0:0:0:0:0:2) -> ToDevice(0);
