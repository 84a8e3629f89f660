from :: FromDevice(in);
out :: ToDevice(out);
from -> SetVLANAnno(7) -> e :: VLANDecap -> VLANEncap(ANNO, NATIVE_VLAN -1) -> out;
