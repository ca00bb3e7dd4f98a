/**
 * The first line of the image's program. One flag fits there, and this one cannot be caught up on: from its start on, Node
 * answers SIGUSR1 by opening its inspector on 127.0.0.1:9229, which is every container's of the pod, and through which
 * all secrets can be read (https://nodejs.org/api/cli.html#--disable-sigusr1).
 */
export const firstLine = '#!/initbox/bin/node --disable-sigusr1';
