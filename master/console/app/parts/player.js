/** Plays films and sound in the page: seeks by ranges, goes on where one was, shows subtitles that lie beside. */

import { pathOf, query, read } from '../api.js';
import { clock } from '../format.js';
import { html, useEffect, useRef, useState } from '../html.js';
import { t } from '../texts.js';
import { Icon } from './icons.js';
import { savePlaylist } from './share.js';

const KEPT = 'mdfs.positions';
const KEPT_MOST = 200;
/** Nearer to the start or the end, one begins anew. */
const EDGE_SECONDS = 10;
const KEEP_MILLIS = 2000;

/** @param {string} type */
export const playable = (type) => /^(video|audio)\//.test(type);

/** @param {{ file: Record<string, any> }} props */
export function Player({ file }) {
  const media = useRef(null);
  // Whether it plays is only known by trying: what browsers say of types is about containers, not codecs.
  const [failed, setFailed] = useState(false);
  const [went, setWent] = useState(0);
  const tracks = useTracks(file.name);
  const element = file.content_type.startsWith('audio/') ? 'audio' : 'video';

  const begin = ({ target }) => {
    if (element === 'video' && target.videoWidth === 0) {
      setFailed(true); // sound without its picture
      return;
    }
    const at = positions()[file.file_id] ?? 0;
    if (at < EDGE_SECONDS || at > target.duration - EDGE_SECONDS) return;
    target.currentTime = at;
    setWent(at);
  };
  useEffect(() => {
    const player = media.current;
    let last = 0;
    const keep = () => {
      if (Date.now() - last < KEEP_MILLIS) return;
      last = Date.now();
      remember(file.file_id, player);
    };
    const keepNow = () => player && remember(file.file_id, player);
    player?.addEventListener('timeupdate', keep);
    for (const name of ['pause', 'seeked']) player?.addEventListener(name, keepNow);
    addEventListener('pagehide', keepNow);
    return () => {
      player?.removeEventListener('timeupdate', keep);
      for (const name of ['pause', 'seeked']) player?.removeEventListener(name, keepNow);
      removeEventListener('pagehide', keepNow);
    };
  }, [failed]);

  if (failed) {
    return html`<div class="note note-info player-note"><${Icon} name="film" /><div><p>${t('player.cannot')}</p><p class="error-detail">${t('player.cannot_text')}</p></div>
      <button type="button" class="button" onClick=${() => savePlaylist(file)}>${t('file.playlist')}</button></div>`;
  }
  const fromStart = () => {
    media.current.currentTime = 0;
    setWent(0);
    media.current.focus();
  };
  return html`<section class="player" aria-label=${t('player.label')}>
    <${element} ref=${media} class=${`media-${element}`} controls preload="metadata" playsinline src=${`play/${pathOf(file.name)}`} tabindex="0"
      onLoadedMetadata=${begin} onError=${() => setFailed(true)} onKeyDown=${(event) => press(event, media.current)}>
      ${tracks.map((track) => html`<track key=${track.src} kind="subtitles" src=${track.src} srclang=${track.language || 'und'} label=${track.label} />`)}
    <//>
    <p class="player-hint">${went > 0
      ? html`<span role="status">${t('player.went_on', { at: clock(went) })}</span> <button type="button" class="button-link" onClick=${fromStart}>${t('player.from_start')}</button>`
      : html`<span>${t('player.keys')}</span>`}
      ${tracks.length > 0 && html`<span>${t('player.subtitles', { count: tracks.length, n: tracks.length })}</span>`}</p>
  </section>`;
}

/** Subtitles of `films/a.mp4` are `films/a.srt`, `films/a.en.vtt` and the like. */
function useTracks(name) {
  const [tracks, setTracks] = useState([]);
  useEffect(() => {
    const stem = name.replace(/\.[^./]*$/, '');
    const abort = new AbortController();
    read(`v1/files${query({ prefix: `${stem}.`, limit: 50 })}`, { signal: abort.signal }).then(({ files }) => {
      const found = files.map((file) => /^\.(?:([\w-]+)\.)?(srt|vtt)$/i.exec(file.name.slice(stem.length)) && file).filter(Boolean);
      setTracks(found.map((file) => {
        const [, language = '', kind] = /^\.(?:([\w-]+)\.)?(\w+)$/.exec(file.name.slice(stem.length));
        const src = `v1/files/${pathOf(file.name)}${kind.toLowerCase() === 'srt' ? '?as=vtt' : ''}`;
        return { src, language, label: language || t('player.subtitle') };
      }));
    }).catch(() => {}); // the film plays without them
    return () => abort.abort();
  }, [name]);
  return tracks;
}

/** Keys as people know them from players. Those that the browser's own controls take stay theirs. */
function press(event, media) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const seek = (by) => { media.currentTime = Math.min(Math.max(media.currentTime + by, 0), media.duration || 0); };
  const acts = {
    k: () => (media.paused ? media.play() : media.pause()),
    ' ': () => (media.paused ? media.play() : media.pause()),
    j: () => seek(-10), l: () => seek(10), ArrowLeft: () => seek(-5), ArrowRight: () => seek(5),
    ArrowUp: () => { media.volume = Math.min(1, media.volume + 0.1); },
    ArrowDown: () => { media.volume = Math.max(0, media.volume - 0.1); },
    m: () => { media.muted = !media.muted; },
    f: () => (document.fullscreenElement ? document.exitFullscreen() : media.requestFullscreen?.()),
    Home: () => { media.currentTime = 0; },
    End: () => { media.currentTime = media.duration || 0; },
  };
  const tenth = /^\d$/.test(event.key) ? Number(event.key) : null;
  const act = tenth === null ? acts[event.key] : () => { media.currentTime = ((media.duration || 0) * tenth) / 10; };
  if (!act) return;
  event.preventDefault();
  act();
}

function positions() {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? '{}');
  } catch {
    return {};
  }
}

/** @param {string} id of the bytes: a new version begins at its start @param {HTMLMediaElement} media */
function remember(id, media) {
  const { [id]: _, ...others } = positions();
  const kept = Object.entries(others).slice(1 - KEPT_MOST);
  localStorage.setItem(KEPT, JSON.stringify(Object.fromEntries([...kept, [id, Math.round(media.currentTime)]])));
}
