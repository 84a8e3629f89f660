from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: VLANEncap(VLAN_ID 9, NATIVE_VLAN 9) -> out;
