/* Does nothing: what a library allocates for itself shows. */
int main(void) { return 0; }
