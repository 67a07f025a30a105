#define SPIN 0  /* turns of an empty loop in each malloc */
#define FAT 0   /* percent by which a new block is larger than it need be */
#define WRONG 0 /* if not 0, one calloc in so many and one is not all zero */
