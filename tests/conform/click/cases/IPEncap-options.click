from :: FromDevice(in);
out :: ToDevice(out);
from -> SetIPAddress(7.7.7.7) -> e :: IPEncap(99, 1.0.0.1, DST_ANNO, TTL 9, DSCP 46, ECT 2, DF true) -> out;
