out :: ToDevice(out);
FromDevice(in) -> e :: VLANEncap(VLAN_ID 9, NATIVE_VLAN 9) -> out;
