from :: FromDevice(in);
out :: ToDevice(out);
from -> c :: Classifier(0/61, -);
e :: CheckPaint(2) -> out;
e[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
c[0] -> Paint(2) -> e;
c[1] -> Paint(3) -> e;
