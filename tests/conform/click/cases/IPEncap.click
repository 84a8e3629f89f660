from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: IPEncap(ipip, 1.0.0.1, 2.0.0.2) -> out;
