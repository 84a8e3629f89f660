from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: Classifier(12/0806 20/0001, 12/0806 20/0002, 12/0800, -);
e[0] -> EtherEncap(0x88b5, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
e[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
e[2] -> EtherEncap(0x88b7, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
e[3] -> EtherEncap(0x88b8, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
