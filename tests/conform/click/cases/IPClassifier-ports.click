from :: FromDevice(in);
out :: ToDevice(out);
from -> CheckIPHeader -> e :: IPClassifier(dst tcp port 8000 or 8080, dst tcp port > 1023, tcp);
e[0] -> EtherEncap(0x88b5, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
e[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
e[2] -> EtherEncap(0x88b7, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
