from :: FromDevice(in);
out :: ToDevice(out);
from -> e :: SetVLANAnno(VLAN_ID 5, VLAN_PCP 3) -> VLANEncap(ANNO) -> out;
