from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: UDPIPEncap(1.0.0.1, 1234, 2.0.0.2, 53) -> out;
