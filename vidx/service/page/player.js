// A clip that plays, over and over: by its file where the browser plays it, by its film else.

import { film, source } from "./api.js";
import { make } from "./dom.js";

const notPlayed = new Set(); // video_ids whose files this browser does not play

/** A muted video element of a clip, a hit or a segment; it plays as soon as it can. */
export function player(clip, set = {}) {
  const video = make("video", { muted: true, playsInline: true, autoplay: true, ...set });
  const byFilm = () => {
    video.loop = true;
    video.src = film(clip.clip_id);
  };
  if (notPlayed.has(clip.video_id)) byFilm();
  else byFile(video, clip, byFilm);
  return video;
}

/** Stop, and have the browser drop what it still loads. */
export function drop(video) {
  video.pause();
  video.removeAttribute("src");
  video.load();
  video.remove();
}

function byFile(video, clip, otherwise) {
  const { start_seconds: start, end_seconds: end } = clip;
  const again = () => {
    if (!video.isConnected || !video.src.includes("/source")) return;
    if (video.currentTime >= end - 0.02 || video.ended) {
      video.currentTime = start;
      video.play().catch(() => {}); // the clip is no longer looked at
    }
  };
  // A browser pauses at the end of a fragment.
  for (const name of ["timeupdate", "pause", "ended"]) video.addEventListener(name, again);
  video.addEventListener(
    "error",
    () => {
      if (!video.src) return;
      notPlayed.add(clip.video_id);
      otherwise();
    },
    { once: true },
  );
  video.src = source(clip.video_id, start, end);
}
