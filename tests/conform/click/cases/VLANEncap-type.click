from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: VLANEncap(VLAN_ID 0, VLAN_PCP 7, NATIVE_VLAN -1, ETHERTYPE 0x88a8) -> out;
