// A million points on a canvas: drawn by the graphics card, or by what stands in for one.

const VERTEX = `
attribute vec2 place;
attribute vec4 colour;
uniform vec2 scale, shift;
uniform float size;
varying vec4 shown;
void main() {
  gl_Position = vec4(place * scale + shift, 0.0, 1.0);
  gl_PointSize = size;
  shown = colour;
}`;
const FRAGMENT = `
precision mediump float;
varying vec4 shown;
uniform bool isRound;
void main() {
  float inside = isRound ? 1.0 - smoothstep(0.38, 0.5, length(gl_PointCoord - 0.5)) : 1.0;
  gl_FragColor = vec4(shown.rgb, 1.0) * shown.a * inside;
}`;
// A frame draws as many points as it has time for; the next ones add the others, until it moves.
const [QUICK_MILLISECONDS, SLOW_MILLISECONDS, PAUSE_MILLISECONDS] = [20, 30, 1000];
const [FIRST_POINTS, LEAST_POINTS] = [100_000, 20_000];

/** Points of a map. What moves shows some of them at once, and all as soon as it is still. */
export class Points {
  /**
   * @param {HTMLCanvasElement} canvas Where.
   * @param {Float32Array} places x and y of each, in pairs.
   * @throws {Error} This browser has no WebGL.
   */
  constructor(canvas, places) {
    this.gl = canvas.getContext("webgl", { antialias: false, preserveDrawingBuffer: true });
    if (!this.gl) throw new Error("This browser draws no map: it has no WebGL.");
    this.canvas = canvas;
    this.count = places.length / 2;
    this.order = spread(this.count);
    this.most = FIRST_POINTS; // in one frame
    this.#prepare(places);
  }

  /** Colour them: bytes of red, green, blue and alpha, for each point in its own order. */
  paint(bytes) {
    const { gl } = this;
    const words = new Uint32Array(bytes.buffer);
    const ordered = new Uint32Array(this.count);
    for (let place = 0; place < this.count; place++) ordered[place] = words[this.order[place]];
    gl.bindBuffer(gl.ARRAY_BUFFER, this.colours);
    gl.bufferData(gl.ARRAY_BUFFER, ordered, gl.DYNAMIC_DRAW);
  }

  /**
   * Draw, from the next frame on.
   * @param {object} sight scale: [x, y], shift: [x, y] from coordinates to -1 to 1; zoom.
   */
  draw(sight) {
    this.sight = sight;
    this.drawn = 0;
    this.#soon();
  }

  /** Let go of the graphics card's memory. */
  end() {
    if (this.due) cancelAnimationFrame(this.due);
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  #prepare(places) {
    const { gl } = this;
    const program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    this.where = Object.fromEntries(
      ["scale", "shift", "size", "isRound"].map((name) => [name, gl.getUniformLocation(program, name)]),
    );
    const ordered = new Float32Array(places.length);
    for (let place = 0; place < this.count; place++) {
      ordered[2 * place] = places[2 * this.order[place]];
      ordered[2 * place + 1] = places[2 * this.order[place] + 1];
    }
    this.#attribute(program, "place", 2, gl.FLOAT, false);
    gl.bufferData(gl.ARRAY_BUFFER, ordered, gl.STATIC_DRAW);
    this.colours = this.#attribute(program, "colour", 4, gl.UNSIGNED_BYTE, true);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  #attribute(program, name, size, type, isShare) {
    const { gl } = this;
    const [buffer, where] = [gl.createBuffer(), gl.getAttribLocation(program, name)];
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.enableVertexAttribArray(where);
    gl.vertexAttribPointer(where, size, type, isShare, 0, 0);
    return buffer;
  }

  #soon() {
    this.due ??= requestAnimationFrame((now) => this.#frame(now));
  }

  #frame(now) {
    this.due = undefined;
    this.#adapt(now - this.last);
    this.last = now;
    const { gl, canvas, sight, where } = this;
    gl.viewport(0, 0, canvas.width, canvas.height);
    if (!this.drawn) {
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
    }
    const size = this.#size();
    gl.uniform2fv(where.scale, sight.scale);
    gl.uniform2fv(where.shift, sight.shift);
    gl.uniform1f(where.size, size);
    gl.uniform1i(where.isRound, size > 3);
    const number = Math.min(this.most, this.count - this.drawn);
    gl.drawArrays(gl.POINTS, this.drawn, number);
    this.drawn += number;
    if (this.drawn < this.count) this.#soon();
  }

  /** Draw fewer in a frame where frames take long, and more again where they do not. */
  #adapt(took) {
    if (!(took < PAUSE_MILLISECONDS)) return; // it was still
    if (took > SLOW_MILLISECONDS) this.most = Math.max(Math.floor(this.most * 0.6), LEAST_POINTS);
    else if (took < QUICK_MILLISECONDS) this.most = Math.min(Math.floor(this.most * 1.15), this.count);
  }

  /** The fewer there are in sight, the larger is each. */
  #size() {
    const zoom = Math.max(this.sight.zoom, 1);
    const crowd = Math.sqrt(this.count) / zoom;
    return Math.min(Math.max(220 / crowd, 1.5), 9) * (globalThis.devicePixelRatio || 1);
  }
}

/** The numbers below a count, so that the first of them are from everywhere. */
function spread(count) {
  let step = Math.max(1, Math.floor(count * 0.618));
  while (divisor(step, count) > 1) step++;
  const order = new Uint32Array(count);
  for (let place = 0, one = 0; place < count; place++, one = (one + step) % count) order[place] = one;
  return order;
}

function divisor(one, other) {
  return other ? divisor(other, one % other) : one;
}
