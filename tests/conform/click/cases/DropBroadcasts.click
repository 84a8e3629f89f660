from :: FromDevice(in);
out :: ToDevice(out);
from -> HostEtherFilter(02:00:00:00:00:0a, false, false) -> e :: DropBroadcasts -> out;
e[1] -> EtherEncap(0x88b6, 0:0:0:0:0:1, 0:0:0:0:0:2) -> out;
