from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: Classifier(! 12/0800 !12/08??, 12/??01%0??f, -);
e[0] -> EtherEncap(0x88b5, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
e[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
e[2] -> EtherEncap(0x88b7, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
