from :: FromDevice(in);
out :: ToDevice(out);
from -> SetVLANAnno(7) -> e :: VLANDecap(false) -> VLANEncap(ANNO) -> out;
