out :: ToDevice(out);
FromDevice(in) -> SetVLANAnno(7) -> e :: VLANDecap -> VLANEncap(ANNO, NATIVE_VLAN -1) -> out;
