out :: ToDevice(out);
FromDevice(in) -> SetVLANAnno(7) -> e :: VLANDecap(false) -> VLANEncap(ANNO) -> out;
