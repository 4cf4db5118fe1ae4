/* SPDX-License-Identifier: Apache-2.0 */
/* frame.h - how long a network frame gets: for nets, cards, and who plugs into one from outside. */
#ifndef HOSPES_CORE_FRAME_H
#define HOSPES_CORE_FRAME_H

enum { NET_FRAME_MAX = 65536 + 64 }; /* bytes, with offloads on */

#endif
