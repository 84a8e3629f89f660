from :: FromDevice(in);
out :: ToDevice(out);
from -> c :: Classifier(12/0806, -);
e :: ARPQuerier(10.0.0.1, 02:00:00:00:00:0a, CAPACITY 1);
c[0] -> [1]e;
c[1] -> GetIPAddress(16) -> e;
e[0] -> out;
e[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
